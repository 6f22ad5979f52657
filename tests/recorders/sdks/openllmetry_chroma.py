"""OpenLLMetry on Chroma, with vectors of our own: no model is called."""

import chromadb
from common import providers, run
from opentelemetry.instrumentation.chromadb import ChromaInstrumentor

VECTOR = [0.25, -0.5, 0.125]


def collection():
    documents = chromadb.EphemeralClient().get_or_create_collection("documents", embedding_function=None)
    documents.add(ids=["1"], documents=["Paris is in France."], embeddings=[VECTOR], metadatas=[{"city": "Paris"}])
    return documents


def query():
    collection().query(query_embeddings=[VECTOR], n_results=1)


def get():
    collection().get(ids=["1"])


def setup(name):
    ChromaInstrumentor().instrument(tracer_provider=providers())


run({"query": query, "get": get}, setup)
