-- The schema registry keeps its own database beside ours.
CREATE DATABASE registry;
