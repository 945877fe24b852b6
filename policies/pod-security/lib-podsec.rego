package lib.podsec

import data.lib.workload

# What the pod security policies share on top of lib.workload.
# The same text stands in every template that needs it; policies/pod-security/lib-podsec.rego is the original.

# Requests that bring in nothing new: deletions, and updates that leave the pod spec as it was.
# Without the second, a pod that is older than the policy could not even lose its finalizers.
skip if workload.is_delete

skip if {
	input.review.operation == "UPDATE"
	workload.has_spec
	object.get(input.review.oldObject, workload.prefix, null) == workload.found
}

# Pods on which the API server forbids the Linux-only fields.
windows if workload.spec.os.name == "windows"

# The containers to judge: all but those whose image the constraint exempts.
judged contains c if {
	some c in workload.containers
	not exempt(c.container)
}

exempt(container) if {
	some pattern in object.get(input.parameters, "exemptImages", [])
	matches(container.image, pattern)
}

# A pattern is an exact text, or the start of one when it ends in *.
matches(text, pattern) if text == pattern

matches(text, pattern) if {
	endswith(pattern, "*")
	startswith(text, trim_suffix(pattern, "*"))
}

matches_any(text, patterns) if {
	some pattern in patterns
	matches(text, pattern)
}

# A switch is off when it is false or not set. Anything else, also the string "false", counts as on.
off(value) if value == null

off(value) if value == false

# Named here because regorus 0.14.1 loses rules of other packages inside a function of a library.
spec := workload.spec

prefix := workload.prefix

# A security context field that a container inherits from the pod unless it sets it itself:
# the value that counts (null if there is none) and where it stands.
effective(c, keys) := {"value": value, "path": array.concat(c.path, field)} if {
	field := array.concat(["securityContext"], keys)
	value := object.get(c.container, field, null)
	value != null
}

effective(c, keys) := {"value": value, "path": array.concat(prefix, field)} if {
	field := array.concat(["securityContext"], keys)
	object.get(c.container, field, null) == null
	value := object.get(spec, field, null)
	value != null
}

effective(c, keys) := {"value": null, "path": path} if {
	field := array.concat(["securityContext"], keys)
	object.get(c.container, field, null) == null
	object.get(spec, field, null) == null
	path := workload.nearest(array.concat(c.path, field))
}

# What no policy can read: everything lib.workload reports, and security contexts that are not objects.
malformed contains m if some m in workload.malformed

malformed contains {"path": path, "msg": msg} if {
	context := object.get(workload.spec, "securityContext", null)
	context != null
	not is_object(context)
	path := array.concat(workload.prefix, ["securityContext"])
	msg := sprintf("the securityContext of the pod must be an object, found %v", [type_name(context)])
}

malformed contains {"path": path, "msg": msg} if {
	some c in workload.containers
	context := object.get(c.container, "securityContext", null)
	context != null
	not is_object(context)
	path := array.concat(c.path, ["securityContext"])
	msg := sprintf("%v: securityContext must be an object, found %v", [c.label, type_name(context)])
}
