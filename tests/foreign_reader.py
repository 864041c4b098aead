"""Avro as an analytics team reads it: by Confluent's own reader, with nothing of ours."""

from collections.abc import Callable
from typing import Any, cast

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

# The client asks again after that, and without a limit it waits for ever: Apicurio now and then loses an answer.
REGISTRY_TIMEOUT_S = 5


def foreign_reader(registry_url: str, topic: str) -> Callable[[bytes], dict[str, Any]]:
    """Decodes values of a topic."""
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": registry_url, "timeout": REGISTRY_TIMEOUT_S}))
    context = SerializationContext(topic, MessageField.VALUE)
    return lambda value: cast(dict[str, Any], deserialize(value, context))
