"""Several signals as one expected return, trusted by what each has shown."""
