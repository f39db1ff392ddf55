import { RecentIds } from './recent-ids';

describe('RecentIds', () => {
  it('tells a new id from one it has seen', () => {
    const ids = new RecentIds(10);
    expect(ids.add('a')).toBe(true);
    expect(ids.add('a')).toBe(false);
    expect(ids.add('b')).toBe(true);
  });

  it('forgets the oldest first and holds no more than its capacity', () => {
    const ids = new RecentIds(2);
    for (const id of ['a', 'b', 'c']) ids.add(id);
    expect(ids.add('c')).toBe(false);
    expect(ids.add('b')).toBe(false);
    expect(ids.add('a')).toBe(true);
    expect(ids.add('b')).toBe(true);
  });
});
