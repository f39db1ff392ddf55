// Checks that relative links in the repository's Markdown files lead to a file, and their anchors to a heading. Exits 1 and
// names those that do not. The root to check is the argument, the working directory without one.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = process.argv[2] ?? '.';

/** The text without code, in which brackets and `#` mean something else. */
function prose(file) {
  return readFileSync(file, 'utf8')
    .replace(/^(```|~~~)[\s\S]*?^\1/gm, '')
    .replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, ' '));
}

/** Anchors as GitHub makes them: lower case, spaces to dashes, punctuation gone, a number behind the second of a name. */
function anchorsOf(file) {
  const seen = new Map();
  const anchors = new Set();
  for (const [, heading] of prose(file).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = text.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return anchors;
}

function problemOf(file, target) {
  const [path, anchor] = target.split('#');
  const linked = path === '' ? file : path.startsWith('/') ? join(root, path) : join(file, '..', decodeURI(path));
  if (!existsSync(linked)) return 'no such file';
  if (anchor && linked.endsWith('.md') && !anchorsOf(linked).has(anchor)) return 'no such heading';
  return undefined;
}

const listed = execFileSync('git', ['ls-files', '-zco', '--exclude-standard', '*.md'], { cwd: root, encoding: 'utf8' });
const files = listed.split('\0').map((file) => join(root, file));
const broken = [];
for (const file of files.filter((name) => name.endsWith('.md') && existsSync(name))) {
  const text = prose(file);
  const inline = text.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+["'][^)]*)?\)/g);
  const references = text.matchAll(/^\s*\[[^\]]+\]:\s+<?([^\s>]+)/gm);
  for (const [, target] of [...inline, ...references]) {
    if (/^[a-z][a-z0-9+.-]*:/i.test(target)) continue;
    const problem = problemOf(file, target);
    if (problem) broken.push(`${file}: ${target} (${problem})`);
  }
}
if (broken.length > 0) {
  console.error(`broken links:\n${broken.join('\n')}`);
  process.exit(1);
}
