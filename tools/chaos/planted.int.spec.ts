import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { detectPlanted, plantedBugs } from './planted';

const ROOT = join(__dirname, '..', '..');
/** The models draw their sequences from it, so that a bug is met or missed for good. */
const SEED = 1;
const TIMEOUT_MS = 300_000;

describe('the planted bugs', () => {
  const bugs = plantedBugs();

  it('are at least fifteen', () => {
    expect(bugs.length).toBeGreaterThanOrEqual(15);
  });

  it.each(bugs)('$name still applies to the source', ({ patch }) => {
    const command = ['apply', '--check', '-'];
    const { status, stderr } = spawnSync('git', command, { cwd: ROOT, input: patch, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it.each(bugs)(
    '$name: $bug',
    async (bug) => expect(await detectPlanted(bug, SEED)).toMatchObject({ caught: true }),
    TIMEOUT_MS,
  );
});
