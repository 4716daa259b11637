"""Any folder of clean pictures, measured as the denoising literature measures its sets."""
