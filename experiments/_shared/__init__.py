"""What every experiment uses: its protocol, its command line, its run folder."""
