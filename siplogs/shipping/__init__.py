"""Delivery to Elasticsearch and Kibana."""
