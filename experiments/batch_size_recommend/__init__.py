"""Which batch size or learning rate for this net and data, within some minutes of computing?"""
