package lib.workload

# Reads the pod spec of a Pod or of any object that holds a pod template.
# The same text stands in every template that needs it; policies/lib-workload.rego is the original.

kinds := {
	"Pod", "PodTemplate", "Deployment", "StatefulSet", "DaemonSet",
	"ReplicaSet", "ReplicationController", "Job", "CronJob",
}

# A deletion brings nothing into the cluster. Use as `not workload.is_delete`.
is_delete if input.review.operation == "DELETE"

# Nor does an update of an object that is already going away, such as the removal of a finalizer.
is_delete if {
	input.review.operation == "UPDATE"
	is_string(input.review.oldObject.metadata.deletionTimestamp)
	found == object.get(input.review.oldObject, prefix, null)
}

# Where the pod spec sits in the reviewed object.
default prefix := ["spec", "template", "spec"]

prefix := ["spec"] if input.review.object.kind == "Pod"

prefix := ["template", "spec"] if input.review.object.kind == "PodTemplate"

prefix := ["spec", "jobTemplate", "spec", "template", "spec"] if input.review.object.kind == "CronJob"

found := object.get(input.review.object, prefix, null)

# True when there is a pod spec to judge. Other kinds count as soon as their template has containers.
has_spec if {
	is_object(found)
	input.review.object.kind in kinds
}

has_spec if object.get(found, "containers", null) != null

# The pod spec, or an empty object so that lookups in it stay defined.
default spec := {}

spec := found if has_spec

lists := {
	"containers": "container",
	"initContainers": "init container",
	"ephemeralContainers": "ephemeral container",
}

# Every container: the object, the list it is in, its path, and how to call it in a message.
containers contains {"container": c, "list": list, "path": path(list, i), "label": label(noun, c, i)} if {
	some list, noun in lists
	is_array(object.get(spec, list, null))
	some i, c in spec[list]
	is_object(c)
}

path(list, i) := array.concat(prefix, [list, i])

label(noun, c, i) := sprintf("%v %q", [noun, c.name]) if is_string(object.get(c, "name", null))

label(noun, c, i) := sprintf("%v number %v", [noun, i + 1]) if not is_string(object.get(c, "name", null))

# What cannot be read is never a pass: every pod policy reports these as violations too.
malformed contains {"path": nearest(prefix), "msg": msg} if {
	input.review.object.kind in kinds
	not has_spec
	msg := sprintf("%v has no readable pod spec at %v", [input.review.object.kind, concat(".", prefix)])
}

malformed contains {"path": array.concat(prefix, [list]), "msg": msg} if {
	some list, _ in lists
	value := object.get(spec, list, null)
	value != null
	not is_array(value)
	msg := sprintf("%v must be a list of containers, found %v", [list, type_name(value)])
}

malformed contains {"path": path(list, i), "msg": msg} if {
	some list, noun in lists
	is_array(object.get(spec, list, null))
	some i, c in spec[list]
	not is_object(c)
	msg := sprintf("%v number %v must be an object, found %v", [noun, i + 1, type_name(c)])
}

# The leading part of a path that exists in the object: where to point when a field is missing.
nearest(p) := array.slice(p, 0, max([n | some n in numbers.range(0, count(p)); exists(array.slice(p, 0, n))]))

exists(p) if object.get(input.review.object, p, 0) == object.get(input.review.object, p, 1)
