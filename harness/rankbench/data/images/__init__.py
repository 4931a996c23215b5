"""Images and their captions: MNIST, digits, caption files and caption sets."""
