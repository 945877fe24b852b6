package pod_deny_host_pid

test_shared if {
	count(violation) == 1 with input as {"review": {"object": {"metadata": {"name": "a"}, "spec": {"hostPID": true}}}}
}

test_own if {
	count(violation) == 0 with input as {"review": {"object": {"metadata": {"name": "a"}, "spec": {}}}}
}
