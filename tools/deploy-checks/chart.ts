import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { inWorkspace } from './workspace';

const run = promisify(execFile);

/** A rendered object, as far as every kind has the same shape. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Record<string, string> };
  readonly data?: Record<string, string>;
  readonly automountServiceAccountToken?: boolean;
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string | number };
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef?: { readonly name: string; readonly key: string } };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: string[];
  readonly args?: string[];
  readonly env: EnvVar[];
  readonly ports: { name: string; containerPort: number }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly securityContext: Record<string, unknown>;
  readonly resources: { requests: Record<string, string>; limits: Record<string, string> };
  readonly volumeMounts: { name: string; mountPath: string }[];
}

export interface PodSpec {
  readonly automountServiceAccountToken: boolean;
  readonly hostUsers?: boolean;
  readonly enableServiceLinks: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly topologySpreadConstraints?: unknown[];
  readonly securityContext: Record<string, unknown>;
  readonly containers: [Container];
  readonly volumes: { name: string; persistentVolumeClaim?: { claimName: string } }[];
}

export interface Deployment extends KubernetesObject {
  readonly spec: {
    readonly replicas?: number;
    readonly strategy: { type: string };
    readonly template: { metadata: { annotations: Record<string, string> }; spec: PodSpec };
  };
}

/** The values file of that name in the chart's ci folder. */
export function ciValues(name: string): string {
  return inWorkspace('k8s', 'chart', 'ci', `${name}-values.yaml`);
}

/**
 * Runs `helm <command> ... k8s/chart` with a values file and settings over it.
 * @param values a name for {@link ciValues}, or undefined for the chart's own values
 * @param settings path → value, passed through as JSON
 * @returns standard output
 * @throws an error whose message holds helm's standard error, when helm refuses
 */
export async function helm(
  command: readonly string[],
  values: string | undefined,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const args = [...command, inWorkspace('k8s', 'chart')];
  if (values) args.push('--values', ciValues(values));
  for (const [path, value] of Object.entries(settings)) args.push('--set-json', `${path}=${JSON.stringify(value)}`);
  const { stdout } = await run(await helmPath(), args, { maxBuffer: 16 * 1024 * 1024 });
  return stdout;
}

/** The chart's text as a release called `tyrum`. */
export function renderText(values: string | undefined, settings?: Readonly<Record<string, unknown>>): Promise<string> {
  return helm(['template', 'tyrum'], values, settings);
}

/** The chart's objects as a release called `tyrum`. */
export async function render(
  values: string,
  settings?: Readonly<Record<string, unknown>>,
): Promise<KubernetesObject[]> {
  return parseObjects(await renderText(values, settings));
}

/** The objects of a file of several YAML documents; throws at the first syntax error. */
export function parseObjects(text: string): KubernetesObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors[0]) throw document.errors[0];
    const object = document.toJS() as KubernetesObject | null;
    return object ? [object] : [];
  });
}

/** The objects of one kind. */
export function ofKind<T extends KubernetesObject = KubernetesObject>(
  objects: readonly KubernetesObject[],
  kind: string,
): T[] {
  return objects.filter((object): object is T => object.kind === kind);
}

/** The only container of a Deployment. */
export function container(deployment: Deployment): Container {
  return deployment.spec.template.spec.containers[0];
}

let found: Promise<string> | undefined;

/** Found once a test process, in a process of its own, because jest cannot load an ES module. */
function helmPath(): Promise<string> {
  found ??= run(process.execPath, [inWorkspace('tools', 'helm', 'helm.mjs'), '--path', 'helm']).then(({ stdout }) =>
    stdout.trim(),
  );
  return found;
}
