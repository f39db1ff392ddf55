// The one gate, the same here and in CI: runs every check in order and stops at the first that fails.
import { spawnSync } from 'node:child_process';

const steps = [
  ['format', 'npx', ['prettier', '--check', '.', '--log-level', 'warn']],
  ['lint', 'npx', ['eslint', '.', '--max-warnings', '0']],
  ['types', 'npm', ['run', '-s', 'typecheck']],
  ['links', 'node', ['tools/verify/check-links.mjs']],
  ['build', 'npx', ['nx', 'run-many', '-t', 'build']],
  ['tests', 'npx', ['jest']],
];

for (const [name, command, args] of steps) {
  const startedAt = performance.now();
  const { status } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, NX_DAEMON: 'false' } });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${status === 0 ? 'passed' : 'FAILED'}  ${name}  ${seconds} s`);
  if (status !== 0) process.exit(1);
}
