{{/* Prefix of every object's name. 45 characters leave room for the longest suffix within a DNS label. */}}
{{- define "tyrum.fullname" -}}
{{ .Release.Name | trunc 45 | trimSuffix "-" }}
{{- end }}

{{- define "tyrum.selectorLabels" -}}
app.kubernetes.io/name: tyrum
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tyrum.labels" -}}
{{ include "tyrum.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
{{- end }}

{{- define "tyrum.secretName" -}}
{{ .Values.secret.existing | default (include "tyrum.fullname" .) }}
{{- end }}

{{/* What the Secret holds: value of `secret` -> variable, which is its key. */}}
{{- define "tyrum.secrets" -}}
auditKey: TYRUM_AUDIT_KEY
bootstrapToken: TYRUM_BOOTSTRAP_TOKEN
databaseUrl: TYRUM_DATABASE_URL
modelApiKey: TYRUM_MODEL_API_KEY
oidcClientSecret: TYRUM_OIDC_CLIENT_SECRET
redisUrl: TYRUM_REDIS_URL
s3AccessKeyId: TYRUM_S3_ACCESS_KEY_ID
s3SecretAccessKey: TYRUM_S3_SECRET_ACCESS_KEY
secretKeys: TYRUM_SECRET_KEYS
webhookKey: TYRUM_WEBHOOK_KEY
{{- end }}

{{/* Variables that a Secret may lack -> the roles of a cluster that need them. A single pod needs all. */}}
{{- define "tyrum.optionalSecrets" -}}
TYRUM_AUDIT_KEY: [edge, scheduler]
TYRUM_MODEL_API_KEY: [worker]
TYRUM_OIDC_CLIENT_SECRET: [edge]
TYRUM_S3_ACCESS_KEY_ID: [edge, worker, scheduler]
TYRUM_S3_SECRET_ACCESS_KEY: [edge, worker, scheduler]
TYRUM_SECRET_KEYS: [edge, worker]
TYRUM_WEBHOOK_KEY: [edge]
{{- end }}

{{/* The port of a URL. */}}
{{- define "tyrum.urlPort" -}}
{{- $url := urlParse . -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "80" "443" (eq $url.scheme "http")) -}}
{{- end }}

{{/* What runs: role (also the image's suffix) -> its port and the key of its values. */}}
{{- define "tyrum.roles" -}}
edge: { port: 8788, values: edge }
{{- if eq .Values.mode "cluster" }}
worker: { port: 8789, values: worker }
scheduler: { port: 8790, values: scheduler }
{{- if .Values.desktopRuntime.enabled }}
desktop-runtime: { port: 8791, values: desktopRuntime }
{{- end }}
{{- end }}
{{- end }}

{{/* The claims of this mode: name -> whether it is made here. */}}
{{- define "tyrum.claims" -}}
home: {}
{{- if eq .Values.mode "cluster" }}
workspaces: {}
{{- end }}
{{- end }}

{{/* Rules over several values, which a schema can only refuse with an unreadable message; and rules over secrets, which it
would print. */}}
{{- define "tyrum.check" -}}
{{- $single := eq .Values.mode "single" }}
{{- $secret := .Values.secret }}
{{- $inline := list }}
{{- range $value, $_ := fromYaml (include "tyrum.secrets" .) }}
{{- if index $secret $value }}
{{- $inline = append $inline $value }}
{{- end }}
{{- end }}
{{- if and $secret.existing $inline }}
{{- fail "secret.existing and inline secrets exclude each other: put all of them into the Secret it names" }}
{{- end }}
{{- if not (or $secret.existing $secret.bootstrapToken) }}
{{- fail "a bootstrap token is needed: set secret.existing (key TYRUM_BOOTSTRAP_TOKEN) or secret.bootstrapToken" }}
{{- end }}
{{- if and $secret.bootstrapToken (lt (len $secret.bootstrapToken) 16) }}
{{- fail "secret.bootstrapToken must have at least 16 characters" }}
{{- end }}
{{- if not (regexMatch "^(postgres(ql)?://.+)?$" $secret.databaseUrl) }}
{{- fail "secret.databaseUrl must be postgres://user:password@host:port/database" }}
{{- end }}
{{- if not (regexMatch "^(rediss?://.+)?$" $secret.redisUrl) }}
{{- fail "secret.redisUrl must be redis://host:port or rediss://host:port" }}
{{- end }}
{{- if and (not $single) (not (or $secret.existing $secret.databaseUrl)) }}
{{- fail "mode=cluster needs a database: set secret.existing (key TYRUM_DATABASE_URL) or secret.databaseUrl" }}
{{- end }}
{{- if and (not $single) (eq .Values.backplane "redis") (not (or $secret.existing $secret.redisUrl)) }}
{{- fail "backplane=redis needs a Redis: set secret.existing (key TYRUM_REDIS_URL) or secret.redisUrl" }}
{{- end }}
{{- if not (regexMatch "^([A-Za-z0-9_-]{43})?$" $secret.auditKey) }}
{{- fail "secret.auditKey must be 32 bytes as base64url, 43 characters" }}
{{- end }}
{{- if not (regexMatch "^([A-Za-z0-9_-]{43}(,[A-Za-z0-9_-]{43}){0,9})?$" $secret.secretKeys) }}
{{- fail "secret.secretKeys must be 1 to 10 keys of 32 bytes as base64url, separated by commas" }}
{{- end }}
{{- if not (regexMatch "^([A-Za-z0-9_-]{32,256})?$" $secret.webhookKey) }}
{{- fail "secret.webhookKey must be 32 to 256 characters of base64url" }}
{{- end }}
{{- if and $secret.oidcClientSecret (lt (len $secret.oidcClientSecret) 16) }}
{{- fail "secret.oidcClientSecret must have at least 16 characters" }}
{{- end }}
{{- $oidc := .Values.oidc }}
{{- $some := or $oidc.issuer $oidc.clientId $oidc.redirectUri $oidc.groups }}
{{- if and $some (not (and $oidc.issuer $oidc.clientId $oidc.redirectUri $oidc.groups)) }}
{{- fail "oidc.issuer, oidc.clientId, oidc.redirectUri and oidc.groups go together" }}
{{- end }}
{{- if and (not $secret.existing) (ne (empty $oidc.issuer) (empty $secret.oidcClientSecret)) }}
{{- fail "oidc.issuer and secret.oidcClientSecret go together" }}
{{- end }}
{{- if and (not .Values.s3.bucket) (or .Values.s3.endpoint $secret.s3AccessKeyId $secret.s3SecretAccessKey) }}
{{- fail "s3.endpoint, secret.s3AccessKeyId and secret.s3SecretAccessKey are about s3.bucket, which is not set" }}
{{- end }}
{{- if ne (empty $secret.s3AccessKeyId) (empty $secret.s3SecretAccessKey) }}
{{- fail "secret.s3AccessKeyId and secret.s3SecretAccessKey go together" }}
{{- end }}
{{- if gt (mul 100 (int (.Values.drainNoticeMs | default 0))) (mul 15 (int .Values.drainMs)) }}
{{- fail "drainNoticeMs must be at most 15 % of drainMs" }}
{{- end }}
{{- if and $single (or $secret.databaseUrl $secret.redisUrl) }}
{{- fail "mode=single runs on SQLite alone: unset secret.databaseUrl and secret.redisUrl, or set mode=cluster" }}
{{- end }}
{{- if and $single (or .Values.edge.autoscaling.enabled .Values.worker.autoscaling.enabled) }}
{{- fail "autoscaling needs mode=cluster: single mode is one pod, the only writer of its SQLite file" }}
{{- end }}
{{- if and $single .Values.desktopRuntime.enabled }}
{{- fail "desktopRuntime.enabled needs mode=cluster: it shares the database with the other roles" }}
{{- end }}
{{- range $role := list "edge" "worker" }}
{{- $scaling := (index $.Values $role).autoscaling }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
{{- fail (printf "%s.autoscaling.minReplicas must not exceed maxReplicas" $role) }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.enabled needs ingress.host" }}
{{- end }}
{{- end }}
