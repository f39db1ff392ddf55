import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { inheritedInstructions, parseDockerfile } from './dockerfile';
import { appPorts, knownVariables } from './known-variables';
import { inWorkspace } from './workspace';

const text = readFileSync(inWorkspace('docker', 'Dockerfile'), 'utf8');
const stages = parseDockerfile(text);
const everything = stages.flatMap((stage) => stage.instructions);
/**
 * The command line is for people, so an image of it is a convenience; the console is files that the edge serves; the black-box
 * tests are not deployed at all.
 */
const apps = readdirSync(inWorkspace('apps')).filter(
  (app) => !['cli', 'console', 'e2e'].includes(app) && isDeployed(app),
);

function isDeployed(app: string): boolean {
  const project = inWorkspace('apps', app, 'project.json');
  if (!existsSync(project)) return false;
  return (JSON.parse(readFileSync(project, 'utf8')) as { tags?: string[] }).tags?.includes('app') ?? false;
}

/** What an image ends up with: the last instruction of a name wins. */
function last(target: string, name: string): string | undefined {
  return inheritedInstructions(stages, target)
    .filter((instruction) => instruction.name === name)
    .at(-1)?.rest;
}

function environment(target: string): Map<string, string> {
  const pairs = inheritedInstructions(stages, target)
    .filter((instruction) => instruction.name === 'ENV')
    .flatMap((instruction) => instruction.rest.split(/\s+/))
    .map((pair) => pair.split('=') as [string, string]);
  return new Map(pairs);
}

function copiedFromTheWorkspace(): string[] {
  return everything
    .filter((instruction) => instruction.name === 'COPY' && !instruction.rest.startsWith('--from='))
    .flatMap((instruction) => instruction.rest.split(/\s+/).slice(0, -1));
}

test('there are apps to check', () => {
  expect(apps).toEqual(expect.arrayContaining(['edge', 'worker', 'scheduler', 'desktop-runtime']));
});

describe.each(apps)('the image of %s', (app) => {
  test('has a target and starts the built app', () => {
    expect(stages.map((stage) => stage.name)).toContain(app);
    expect(last(app, 'CMD')).toContain(`dist/apps/${app}/main.js`);
    expect(last(app, 'ENTRYPOINT')).toContain('tini');
  });

  test('does not run as root', () => {
    expect(last(app, 'USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  test('listens on its port, which its health check asks', () => {
    expect(environment(app).get('TYRUM_PORT')).toBe(String(appPorts[app]));
    expect(last(app, 'EXPOSE')).toBe(String(appPorts[app]));
    expect(last(app, 'HEALTHCHECK')).toMatch(/"node".*TYRUM_PORT.*\/livez/);
  });

  test('sets only variables that an app reads', () => {
    const unknown = [...environment(app).keys()].filter(
      (name) => name !== 'NODE_ENV' && !knownVariables.includes(name),
    );
    expect(unknown).toEqual([]);
  });
});

test('the image of the edge has the console beside the bundle, where the edge looks for it', () => {
  const copied = inheritedInstructions(stages, 'edge').map(({ name, rest }) => `${name} ${rest}`);
  expect(copied).toContain('COPY --from=build /src/dist/apps/console ./dist/apps/console');
});

test('nothing is fetched from an address', () => {
  expect(everything.filter((instruction) => instruction.name === 'ADD')).toEqual([]);
  expect(everything.filter((instruction) => /\b(curl|wget)\b/.test(instruction.rest))).toEqual([]);
});

test('what is copied exists and is let through by the ignore file', () => {
  const allowed = readFileSync(inWorkspace('docker', 'Dockerfile.dockerignore'), 'utf8').split('\n');
  expect(copiedFromTheWorkspace().length).toBeGreaterThan(5);
  for (const source of copiedFromTheWorkspace()) {
    expect({ source, exists: existsSync(inWorkspace(source)) }).toEqual({ source, exists: true });
    expect(allowed).toContain(`!${source}`);
  }
});

test('packages are installed before the sources are copied, so that a change of code does not install them again', () => {
  const names = inheritedInstructions(stages, 'build').map(({ name, rest }) => `${name} ${rest}`);
  const install = names.findIndex((line) => line.includes('npm ci'));
  expect(install).toBeGreaterThan(0);
  expect(install).toBeLessThan(names.findIndex((line) => line.startsWith('COPY libs')));
});
