package lib.core

# The object, of a review and of a file.
resource := input.review.object

name := resource.metadata.name
