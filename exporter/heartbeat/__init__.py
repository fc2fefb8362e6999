"""What is known of programs that report by themselves: when they last did and how it went; knows no metric names."""
