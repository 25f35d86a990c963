//! Opens a stream or a file and gives transactions' begin, rows, DDL notes and end; never more than an event in memory.
