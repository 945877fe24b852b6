# METADATA
# title: Pods must not share the process namespace of the host
# description: >-
#   Whoever sees the processes of the host
#   may read what they know.
# custom:
#   enforcement: warn
#   matchers:
#     kinds:
#     - apiGroups: [""]
#       kinds: [Pod]
package pod_deny_host_pid

import data.lib.core

violation contains {"msg": msg} if {
	core.resource.spec.hostPID
	msg := sprintf("Pod %s shares the process namespace of the host", [core.name])
}
