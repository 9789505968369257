{{- define "drawdown.labels" -}}
app.kubernetes.io/name: drawdown
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* selector: dict "root" $ "name" NAME */}}
{{- define "drawdown.selector" -}}
app.kubernetes.io/name: drawdown
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "drawdown.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "drawdown.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (printf "%s-drawdown" .Release.Name) }}
{{- end }}

{{- /* The components, with what a process of each is: its command, port and what it reaches. */}}
{{- define "drawdown.components" -}}
admission: {command: [worker, admission], port: 9401, reads: usage, worker: true}
rating: {command: [worker, rating], port: 9402, reads: journal, worker: true}
balances: {command: [worker, balances], port: 9403, reads: rated, worker: true}
gateway: {command: [gateway], port: 8888, serves: true, redis: false}
api: {command: [api], port: 8889, serves: true}
webhooks: {command: [webhooks], port: 9405, worker: true}
exporter: {command: [exporter], port: 9404}
{{- end }}

{{- /* The ports of a server: dict "given" PORT "addresses" LIST "usual" PORT; each once */}}
{{- define "drawdown.ports" -}}
{{- $ports := list }}
{{- range .addresses }}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default $.usual | int) }}
{{- end }}
{{- with .given }}
{{- $ports = list (int .) }}
{{- end }}
{{- range uniq $ports }}
- {port: {{ . }}, protocol: TCP}
{{- end }}
{{- end }}

{{- /* A value as quoted text. Numbers of a values file are floats, which `quote` writes as 5.12e+08. */}}
{{- define "drawdown.text" -}}
{{- kindIs "string" . | ternary . (toJson .) | quote }}
{{- end }}

{{- /* env: dict "root" $ "values" COMPONENT "redis" BOOL */}}
{{- define "drawdown.env" -}}
{{- $v := .root.Values }}
{{- $kafka := .values.kafkaSecret | default $v.kafka.secret.name }}
- {name: DRAWDOWN_KAFKA, value: {{ required "kafka.address must be given" $v.kafka.address | quote }}}
- {name: DRAWDOWN_KAFKA_SECURITY, value: {{ $v.kafka.security | quote }}}
- {name: DRAWDOWN_PARTITIONS, value: {{ $v.partitions | quote }}}
- {name: DRAWDOWN_REPLICATION, value: {{ $v.replication | quote }}}
- {name: DRAWDOWN_TOPIC_PREFIX, value: {{ $v.topicPrefix | quote }}}
- {name: DRAWDOWN_KEY_PREFIX, value: {{ $v.keyPrefix | quote }}}
{{- if eq $v.kafka.security "sasl_ssl" }}
- {name: DRAWDOWN_KAFKA_SASL_MECHANISM, value: {{ $v.kafka.mechanism | quote }}}
- name: DRAWDOWN_KAFKA_USERNAME
  valueFrom: {secretKeyRef: {name: {{ $kafka | quote }}, key: {{ $v.kafka.secret.usernameKey | quote }}}}
- {name: DRAWDOWN_KAFKA_PASSWORD_FILE, value: /secrets/kafka/password}
{{- end }}
{{- if and (ne $v.kafka.security "plaintext") $v.kafka.ca.secret }}
- {name: DRAWDOWN_KAFKA_CA, value: /secrets/kafka-ca/ca.crt}
{{- end }}
{{- if and (ne $v.kafka.security "plaintext") $v.kafka.certificate.secret }}
- {name: DRAWDOWN_KAFKA_CERTIFICATE, value: /secrets/kafka-certificate/tls.crt}
- {name: DRAWDOWN_KAFKA_KEY, value: /secrets/kafka-certificate/tls.key}
{{- end }}
{{- if .redis }}
{{- $redis := .values.redisSecret | default $v.redis.secret.name }}
- {name: DRAWDOWN_REDIS_URL, value: {{ required "redis.url must be given" $v.redis.url | quote }}}
- name: DRAWDOWN_REDIS_USERNAME
  valueFrom: {secretKeyRef: {name: {{ $redis | quote }}, key: {{ $v.redis.secret.usernameKey | quote }}}}
- {name: DRAWDOWN_REDIS_PASSWORD_FILE, value: /secrets/redis/password}
{{- if $v.redis.ca.secret }}
- {name: DRAWDOWN_REDIS_CA, value: /secrets/redis-ca/ca.crt}
{{- end }}
{{- end }}
{{- range $name, $value := $v.settings }}
- {name: {{ $name | quote }}, value: {{ include "drawdown.text" $value }}}
{{- end }}
{{- end }}

{{- /* mounts and volumes of the same secrets, as files that only their owner reads */}}
{{- define "drawdown.mounts" -}}
{{- $v := .root.Values }}
- {name: tmp, mountPath: /tmp}
{{- if eq $v.kafka.security "sasl_ssl" }}
- {name: kafka, mountPath: /secrets/kafka, readOnly: true}
{{- end }}
{{- if and (ne $v.kafka.security "plaintext") $v.kafka.ca.secret }}
- {name: kafka-ca, mountPath: /secrets/kafka-ca, readOnly: true}
{{- end }}
{{- if and (ne $v.kafka.security "plaintext") $v.kafka.certificate.secret }}
- {name: kafka-certificate, mountPath: /secrets/kafka-certificate, readOnly: true}
{{- end }}
{{- if .redis }}
- {name: redis, mountPath: /secrets/redis, readOnly: true}
{{- if $v.redis.ca.secret }}
- {name: redis-ca, mountPath: /secrets/redis-ca, readOnly: true}
{{- end }}
{{- end }}
{{- if .values.keys }}
- {name: keys, mountPath: /secrets/keys, readOnly: true}
{{- end }}
{{- if .values.subscriptions }}
- {name: subscriptions, mountPath: /subscriptions, readOnly: true}
{{- end }}
{{- end }}

{{- define "drawdown.volumes" -}}
{{- $v := .root.Values }}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- if eq $v.kafka.security "sasl_ssl" }}
- name: kafka
  secret:
    secretName: {{ .values.kafkaSecret | default $v.kafka.secret.name | quote }}
    defaultMode: 0440
    items: [{key: {{ $v.kafka.secret.passwordKey | quote }}, path: password}]
{{- end }}
{{- if and (ne $v.kafka.security "plaintext") $v.kafka.ca.secret }}
- name: kafka-ca
  secret:
    secretName: {{ $v.kafka.ca.secret | quote }}
    items: [{key: {{ $v.kafka.ca.key | quote }}, path: ca.crt}]
{{- end }}
{{- if and (ne $v.kafka.security "plaintext") $v.kafka.certificate.secret }}
- name: kafka-certificate
  secret:
    secretName: {{ $v.kafka.certificate.secret | quote }}
    defaultMode: 0440
    items:
      - {key: {{ $v.kafka.certificate.certificateKey | quote }}, path: tls.crt}
      - {key: {{ $v.kafka.certificate.keyKey | quote }}, path: tls.key}
{{- end }}
{{- if .redis }}
- name: redis
  secret:
    secretName: {{ .values.redisSecret | default $v.redis.secret.name | quote }}
    defaultMode: 0440
    items: [{key: {{ $v.redis.secret.passwordKey | quote }}, path: password}]
{{- if $v.redis.ca.secret }}
- name: redis-ca
  secret:
    secretName: {{ $v.redis.ca.secret | quote }}
    items: [{key: {{ $v.redis.ca.key | quote }}, path: ca.crt}]
{{- end }}
{{- end }}
{{- if .values.keys }}
- name: keys
  secret:
    secretName: {{ .values.keys.secret | quote }}
    defaultMode: 0440
    items: [{key: {{ .values.keys.key | quote }}, path: keys.json}]
{{- end }}
{{- if .values.subscriptions }}
- name: subscriptions
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
- name: subscriptions-secret
  secret:
    secretName: {{ .values.subscriptions.secret | quote }}
    defaultMode: 0440
    items: [{key: {{ .values.subscriptions.key | quote }}, path: subscriptions.json}]
{{- end }}
{{- end }}

{{- define "drawdown.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "drawdown.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
