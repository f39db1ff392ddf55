{{/* One environment variable that comes from the Secret. Arguments: context, name, optional. */}}
{{- define "tyrum.secretEnv" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ include "tyrum.secretName" .context }}
      key: {{ .name }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{- end }}

{{/* A role's own variables; what all roles share is in the ConfigMap. Arguments: context, role, port. */}}
{{- define "tyrum.env" -}}
{{- $values := .context.Values }}
{{- $single := eq $values.mode "single" -}}
- name: TYRUM_PORT
  value: {{ .port | quote }}
- name: TYRUM_INSTANCE_ID
{{- if $single }}
  # Always the same, so that a restarted edge resumes its outbox cursor.
  value: {{ include "tyrum.fullname" .context }}
{{- else }}
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}
{{- if eq .role "edge" }}
- name: TYRUM_ROLES
  value: {{ ternary "edge,worker,scheduler" "edge" $single }}
{{ include "tyrum.secretEnv" (dict "context" .context "name" "TYRUM_BOOTSTRAP_TOKEN") }}
{{- end }}
{{- if not $single }}
{{ include "tyrum.secretEnv" (dict "context" .context "name" "TYRUM_DATABASE_URL") }}
{{- if eq $values.backplane "redis" }}
{{ include "tyrum.secretEnv" (dict "context" .context "name" "TYRUM_REDIS_URL") }}
{{- end }}
{{- end }}
{{- if eq .role "worker" }}
- name: TYRUM_WORKSPACE_ROOT
  value: /workspaces
{{- end }}
{{- range $name, $roles := fromYaml (include "tyrum.optionalSecrets" .) }}
{{- if or $single (has $.role $roles) }}
{{ include "tyrum.secretEnv" (dict "context" $.context "name" $name "optional" true) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Arguments: context, role, port, values (the role's). */}}
{{- define "tyrum.podSpec" -}}
{{- $values := .context.Values -}}
{{- $nests := and (eq .role "desktop-runtime") (eq $values.desktopRuntime.sandbox "bubblewrap") -}}
{{- with $values.image.pullSecrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{ end -}}
serviceAccountName: {{ include "tyrum.fullname" .context }}
automountServiceAccountToken: false
# A Service called `tyrum` would otherwise put TYRUM_PORT=tcp://... into every pod of the namespace.
enableServiceLinks: false
# Rounded up, and longer than the drain: a kill in mid-drain turns every hand-over into a lease expiry.
terminationGracePeriodSeconds: {{ add (div (add $values.drainMs 999) 1000) 20 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: {{ ternary "Unconfined" "RuntimeDefault" $nests }}
  {{- if $nests }}
  appArmorProfile:
    type: Unconfined
  {{- end }}
{{- if $nests }}
# Root in it is nobody outside of it, which is what makes up for the rest.
hostUsers: false
{{- end }}
{{- if eq $values.mode "cluster" }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "tyrum.selectorLabels" $.context | nindent 8 }}
        app.kubernetes.io/component: {{ $.role }}
    # Only pods of the same revision count, or a rolling update would spread against the pods it replaces.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: {{ .role }}
    image: "{{ $values.image.prefix }}-{{ .role }}:{{ $values.image.tag | default .context.Chart.AppVersion }}"
    imagePullPolicy: {{ $values.image.pullPolicy }}
    ports:
      - name: http
        containerPort: {{ .port }}
    envFrom:
      - configMapRef:
          name: {{ include "tyrum.fullname" .context }}
    env:
      {{- include "tyrum.env" . | nindent 6 }}
    # Two minutes for migrations; until it passed once, the other probes wait.
    startupProbe:
      httpGet: { path: /livez, port: http }
      periodSeconds: 2
      timeoutSeconds: 3
      failureThreshold: 60
    livenessProbe:
      httpGet: { path: /livez, port: http }
      periodSeconds: 10
      timeoutSeconds: 3
      failureThreshold: 6
    readinessProbe:
      httpGet: { path: /readyz, port: http }
      periodSeconds: 5
      timeoutSeconds: 3
      failureThreshold: 2
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
      {{- if $nests }}
      procMount: Unmasked
      {{- end }}
    resources:
      {{- toYaml .values.resources | nindent 6 }}
    volumeMounts:
      - name: home
        mountPath: /var/lib/tyrum
      - name: tmp
        mountPath: /tmp
      {{- if eq .role "worker" }}
      - name: workspaces
        mountPath: /workspaces
      {{- end }}
volumes:
  {{- if ne .role "desktop-runtime" }}
  - name: home
    persistentVolumeClaim:
      claimName: {{ $values.persistence.home.existingClaim | default (printf "%s-home" (include "tyrum.fullname" .context)) }}
  {{- end }}
  - name: tmp
    emptyDir: { sizeLimit: 1Gi }
  {{- if eq .role "worker" }}
  - name: workspaces
    persistentVolumeClaim:
      claimName: {{ $values.persistence.workspaces.existingClaim | default (printf "%s-workspaces" (include "tyrum.fullname" .context)) }}
  {{- end }}
{{- end }}
