-- Expects a column answer. Providers' ids have a prefix; frameworks wrap the response they come in.
extract(answer, '"id": ?"((?:chatcmpl|cmpl|resp|msg|gen|req)[-_][^"]+)"')
