"""What a search says about its images: likely label errors, images to label next, confusions and heat maps."""
