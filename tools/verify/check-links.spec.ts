import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = mkdtempSync(join(tmpdir(), 'tyrum-links-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function check(readme: string): { status: number | null; broken: string[] } {
  writeFileSync(join(root, 'README.md'), readme);
  const { status, stderr } = spawnSync(process.execPath, [join(__dirname, 'check-links.mjs'), root], {
    encoding: 'utf8',
  });
  return { status, broken: stderr.split('\n').slice(1, -1) };
}

describe('check-links', () => {
  beforeAll(() => {
    spawnSync('git', ['init', '--quiet', root]);
    mkdirSync(join(root, 'docs'));
    writeFileSync(
      join(root, 'docs', 'a.md'),
      '# Kill, drain & `resume`\n\n## Again\n\n## Again\n\n```\n# no heading\n```\n',
    );
  });

  it('accepts files, folders, headings, other protocols and what is in code', () => {
    const links = ['docs/a.md', 'docs', '/docs/a.md', '#top', 'https://x.example/y', 'mailto:a@x.example'];
    const anchors = ['docs/a.md#kill-drain--resume', 'docs/a.md#again', 'docs/a.md#again-1'];
    const text = [...links, ...anchors].map((target) => `- [x](${target})`).join('\n');
    const code = '```\n[x](nowhere)\n```\nand `[x](nowhere)`\n\n[ref]: docs/a.md\n';
    expect(check(`# Top\n\n${text}\n\n${code}`)).toEqual({ status: 0, broken: [] });
  });

  it.each([
    ['a missing file', '[x](docs/b.md)', 'docs/b.md (no such file)'],
    ['a missing file with a title', '[x](docs/b.md "title")', 'docs/b.md (no such file)'],
    ['a missing heading', '[x](docs/a.md#never)', 'docs/a.md#never (no such heading)'],
    ['a heading in code', '[x](docs/a.md#no-heading)', 'docs/a.md#no-heading (no such heading)'],
    ['a third of two headings', '[x](docs/a.md#again-2)', 'docs/a.md#again-2 (no such heading)'],
    ['a missing heading of its own', '[x](#below)', '#below (no such heading)'],
    ['a broken reference', '[ref]: gone.md', 'gone.md (no such file)'],
  ])('refuses %s', (_what, text, problem) => {
    expect(check(text)).toEqual({ status: 1, broken: [`${join(root, 'README.md')}: ${problem}`] });
  });
});
