# @title Required labels
#
# Objects need these labels.
#
# @parameter labels array string -- the keys of labels that have to be there
# @kinds apps/Deployment core/Pod
package required_labels

violation[{"msg": msg}] {
	label := input.parameters.labels[_]
	not input.review.object.metadata.labels[label]
	msg := sprintf("the label %v is missing", [label])
}
