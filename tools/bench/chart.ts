import { formatNumber, summaryOf, targetOf, type BenchResults, type CaseResult } from './results';

const WIDTH = 900;
const LABEL = 190;
const BAR = 18;
const GAP = 6;
const TITLE = 30;
const COLOURS: Readonly<Record<string, string>> = { tyrum: '#1f6feb' };
const PEER_COLOUR = '#8b949e';

/** One panel a case that measures a rate: a bar a contender with its range, and a line where the target is. */
export function renderChart({ cases }: Pick<BenchResults, 'cases'>): string {
  const panels = cases.filter((each) => each.case.metrics.some(({ name }) => name === 'rate') && bars(each).length > 0);
  let y = 10;
  const drawn: string[] = [];
  for (const each of panels) {
    const { svg, height } = panel(each, y);
    drawn.push(svg);
    y += height;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y + 10}" viewBox="0 0 ${WIDTH} ${y + 10}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    ...drawn,
    '</svg>\n',
  ].join('\n');
}

interface Bar {
  readonly name: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

function bars({ contenders }: CaseResult): Bar[] {
  return contenders.flatMap((result) => {
    const summary = summaryOf(result, 'rate');
    return summary ? [{ name: result.contender, ...summary }] : [];
  });
}

function panel(each: CaseResult, top: number): { svg: string; height: number } {
  const { case: about } = each;
  const metric = about.metrics.find(({ name }) => name === 'rate');
  const list = bars(each);
  const target = metric && targetOf(metric, each.contenders);
  const most = Math.max(...list.map(({ max }) => max), target ?? 0, 1);
  const x = (value: number) => LABEL + (value / most) * (WIDTH - LABEL - 130);
  const kind = about.kind === 'bare' ? ' (bare)' : '';
  const parts = [
    `<text x="10" y="${top + 18}" font-weight="bold">${escapeXml(`${about.workload} ${about.title}${kind}, ${metric?.unit ?? ''}`)}</text>`,
  ];
  list.forEach(({ name, median, min, max }, i) => {
    const y = top + TITLE + i * (BAR + GAP);
    const middle = y + BAR / 2;
    parts.push(
      `<text x="${LABEL - 8}" y="${middle + 4}" text-anchor="end">${escapeXml(name)}</text>`,
      `<rect x="${LABEL}" y="${y}" width="${round(x(median) - LABEL)}" height="${BAR}" fill="${COLOURS[name] ?? PEER_COLOUR}"/>`,
      `<line x1="${round(x(min))}" x2="${round(x(max))}" y1="${middle}" y2="${middle}" stroke="#24292f" stroke-width="2"/>`,
      `<text x="${round(x(max)) + 8}" y="${middle + 4}">${formatNumber(median)}</text>`,
    );
  });
  const bottom = top + TITLE + list.length * (BAR + GAP);
  if (target !== undefined) {
    const at = round(x(target));
    parts.push(
      `<line x1="${at}" x2="${at}" y1="${top + TITLE - 4}" y2="${bottom}" stroke="#cf222e" stroke-dasharray="4 3"/>`,
      `<text x="${at}" y="${top + TITLE - 7}" fill="#cf222e" text-anchor="middle" font-size="10">target ${formatNumber(target)}</text>`,
    );
  }
  return { svg: parts.join('\n'), height: bottom - top + 10 };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeXml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}
