"""Documents that we drew, for the demo, the tests and the accuracy benchmark."""
