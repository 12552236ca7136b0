"""The rooms that micropie_bench is made of; the script says what is in each."""
