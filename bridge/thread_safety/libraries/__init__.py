"""What is documented about libraries: may they be used from several threads?"""
