"""The remediator's faces over HTTP: the hook, the API, the page, the metrics, and the server under them.

It hands work to a `Service` and never to a stage; Flask and cheroot live here and nowhere else.
"""

from remediator.web.app import make_app
from remediator.web.hooks import Intake
from remediator.web.metrics import Metrics, Readings
from remediator.web.payload import Delivery
from remediator.web.server import WebServer
from remediator.web.service import Access, Service

__all__ = ["Access", "Delivery", "Intake", "Metrics", "Readings", "Service", "WebServer", "make_app"]
