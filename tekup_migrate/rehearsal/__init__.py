"""A throw-away world to practise in: embedded servers, sample data, repositories and apps."""
