"""Plain Faust with tables: `contender` is how the harness runs it, `app` what it runs."""
