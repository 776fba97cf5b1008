"""The memory behind OpenAI's chat completions: forms of requests and replies, who may ask, one
answer at a time, and a page that shows what the model attended to."""
