package replicas

test_many_are_denied if {
	deny == {"11 replicas are more than 10"} with input as {"spec": {"replicas": 11}}
}

test_few_are_not if {
	count(deny) == 0 with input as {"spec": {"replicas": 2}}
}

test_another_limit if {
	count(deny) == 1 with input as {"spec": {"replicas": 2}} with data.limits.most as 1
}

todo_test_owner if {
	owner == "somebody"
}
