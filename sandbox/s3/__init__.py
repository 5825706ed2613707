"""S3's object storage: moto's server, behind what moto does not do.

In front of it (app.py) signatures, their time and the bodies' digests are checked, MinIO's health is told, and every
object is kept in a file before the answer leaves. moto itself (engine.py) runs in a process of its own, because its
state is one for a whole process, and only from the first request on that needs it.

What a restart changes: uploads in parts that were not completed are gone, and an object gets a new Last-Modified, the
ETag of a whole upload in place of one in parts, and loses its tags and earlier versions.
"""

from sandbox.s3.app import create_app
from sandbox.s3.seeding import seed

__all__ = ["create_app", "seed"]
