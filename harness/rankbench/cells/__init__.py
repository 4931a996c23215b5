"""RNN, GRU and LSTM cells around any layer."""
