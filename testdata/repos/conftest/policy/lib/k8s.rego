package lib.k8s

workloads := {"Deployment", "StatefulSet", "DaemonSet"}

is_workload if input.kind in workloads

containers contains container if {
	is_workload
	some container in input.spec.template.spec.containers
}
