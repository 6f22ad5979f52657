"""What LangChain and LangGraph are recorded doing."""

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

MODEL = "gpt-4o-mini"


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def model(**options):
    return ChatOpenAI(model=MODEL, max_retries=0, **options)


def chain():
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate

    (ChatPromptTemplate.from_template("Answer shortly: {question}") | model() | StrOutputParser()).invoke(
        {"question": "Capital?"}
    )


def chain_stream():
    for _ in model(stream_usage=True).stream("Capital of France?"):
        pass


def chain_stream_nousage():
    for _ in model(stream_usage=False).stream("Capital of France?"):
        pass


def agent(streaming=False, prompt="Weather in Paris?"):
    from langchain.agents import create_agent

    graph = create_agent(model(streaming=streaming, stream_usage=streaming), [get_weather], name="weather_agent")
    options = {"configurable": {"thread_id": "thread-7"}, "metadata": {"user_id": "u-1"}}
    graph.invoke({"messages": [{"role": "user", "content": prompt}]}, options)


def chat_async():
    import asyncio

    asyncio.run(model().ainvoke("Capital of France?"))


def batch():
    model().batch(["Capital of France?", "Capital of Spain?"], config={"max_concurrency": 1})


SCENARIOS = {
    "chain": chain,
    "chain_stream": chain_stream,
    "chain_stream_nousage": chain_stream_nousage,
    "agent_tools": agent,
    "agent_stream": lambda: agent(streaming=True),
    "agent_two_tools": lambda: agent(prompt="#two Weather?"),
    "chat_async": chat_async,
    "batch": batch,
    "responses": lambda: model(use_responses_api=True).invoke("Capital of France?"),
    "structured": lambda: (
        model()
        .with_structured_output(
            {
                "title": "Answer",
                "type": "object",
                "description": "An answer",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            }
        )
        .invoke("#text Capital?")
    ),
    "embeddings": lambda: OpenAIEmbeddings(
        model="text-embedding-3-small", check_embedding_ctx_length=False
    ).embed_query("Paris"),
    "length": lambda: model().invoke("#length Capital?"),
    "filter": lambda: model().invoke("#filter Capital?"),
    "error_429": lambda: model().invoke("#429"),
    "error_context": lambda: model().invoke("#400-context"),
    "error_stream_401": lambda: list(model().stream("#401")),
    "error_agent_500": lambda: agent(prompt="#500"),
}
