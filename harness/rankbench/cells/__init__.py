"""RNN, GRU and LSTM cells whose input map is any layer."""
