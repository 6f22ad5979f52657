from llmhub.cli import main

main()
