"""Does a test fail when the guard that it is for is taken away?"""
