{{- define "portcullis.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.webhook" -}}
{{ include "portcullis.name" . }}-webhook
{{- end -}}

{{- define "portcullis.audit" -}}
{{ include "portcullis.name" . }}-audit
{{- end -}}

{{- /* What is kept for good: selectors cannot be changed. Takes (root, component). */ -}}
{{- define "portcullis.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "portcullis.labels" -}}
{{ include "portcullis.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- with (index . 0).Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "portcullis.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.runAs }}
runAsUser: {{ int64 . }}
runAsGroup: {{ int64 . }}
fsGroup: {{ int64 . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "portcullis.containerSecurity" -}}
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /* Where pods run. Takes the values of a program. */ -}}
{{- define "portcullis.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "portcullis.certificateSecret" -}}
{{- if .Values.certificate.secretName -}}
{{ .Values.certificate.secretName }}
{{- else -}}
{{ include "portcullis.webhook" . }}-certificate
{{- end -}}
{{- end -}}

{{- define "portcullis.policies" -}}
{{- .Values.files.configMap | default (printf "%s-policies" (include "portcullis.name" .)) -}}
{{- end -}}

{{- /* self-signed, cert-manager or secret. */ -}}
{{- define "portcullis.certificateSource" -}}
{{- if ne .Values.certificate.source "auto" -}}
{{ .Values.certificate.source }}
{{- else -}}
{{ ternary "self-signed" "cert-manager" (eq .Values.mode "kube") }}
{{- end -}}
{{- end -}}

{{- /* webhook or chart: who says what is in the webhook configuration. */ -}}
{{- define "portcullis.managedBy" -}}
{{- if ne .Values.webhookConfiguration.managedBy "auto" -}}
{{ .Values.webhookConfiguration.managedBy }}
{{- else -}}
{{ ternary "webhook" "chart" (eq .Values.mode "kube") }}
{{- end -}}
{{- end -}}

{{- /* What does not fit together is said before anything is applied. */ -}}
{{- define "portcullis.check" -}}
{{- $files := .Values.files -}}
{{- if eq .Values.mode "files" -}}
  {{- if and (not $files.policies) (not $files.configMap) -}}
    {{- fail "mode is files: set files.policies (file name: text) or files.configMap (the name of a ConfigMap)" -}}
  {{- end -}}
  {{- if and $files.policies $files.configMap -}}
    {{- fail "set files.policies or files.configMap, not both" -}}
  {{- end -}}
  {{- if eq (include "portcullis.certificateSource" .) "self-signed" -}}
    {{- fail "mode is files: the webhook has no rights in the cluster and cannot tell API servers its own CA; set certificate.source to cert-manager or secret" -}}
  {{- end -}}
  {{- if eq (include "portcullis.managedBy" .) "webhook" -}}
    {{- fail "mode is files: the webhook has no rights in the cluster; set webhookConfiguration.managedBy to chart" -}}
  {{- end -}}
{{- else if or $files.policies $files.configMap -}}
  {{- fail "files.policies and files.configMap are for mode: files" -}}
{{- end -}}
{{- if and (eq .Values.mode "kube") (eq .Values.constraintCrds.make "group") (semverCompare "<1.30.0-0" .Capabilities.KubeVersion.Version) -}}
  {{- fail "constraintCrds.make is group: that needs ValidatingAdmissionPolicies, of Kubernetes 1.30; set it to named, and the kinds of all constraints in constraintCrds.kinds" -}}
{{- end -}}
{{- if and (eq .Values.constraintCrds.make "named") (not .Values.constraintCrds.kinds) -}}
  {{- fail "constraintCrds.make is named: name the kinds of all constraints in constraintCrds.kinds" -}}
{{- end -}}
{{- if eq (include "portcullis.certificateSource" .) "secret" -}}
  {{- if not .Values.certificate.secretName -}}
    {{- fail "certificate.source is secret: set certificate.secretName" -}}
  {{- end -}}
  {{- if not .Values.certificate.caBundle -}}
    {{- fail "certificate.source is secret: set certificate.caBundle, the CA that API servers have to trust, as PEM" -}}
  {{- end -}}
{{- end -}}
{{- end -}}
