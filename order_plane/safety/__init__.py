"""What stops trading: kill switches, guards that engage them, halts of symbols, and the cancels they ask for."""
