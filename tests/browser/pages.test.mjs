// The pages in a real browser: LOCKKEEPER_BIN and WORLD_BIN are the daemon and the simulated AWS, CHROMIUM the browser.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { AxeBuilder } from '@axe-core/playwright';

import { Lab, OPERATOR, READER, picture, until } from './lab.mjs';

let lab;
let failed;

before(async () => {
    lab = await Lab.open({ bin: process.env.LOCKKEEPER_BIN, world: process.env.WORLD_BIN });
    await lab.deploy('api', 'v2');
    await lab.ended('api', 'succeeded');
    await lab.deploy('web', 'v2-crash', 'a release that does not start');
    failed = await lab.ended('web', 'rolled_back');
});

after(() => lab?.close());

async function signIn(page, token) {
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByLabel('Token').fill(token);
    await page.getByLabel('Token').press('Enter');
}

for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 390]) {
        test(`every page is accessible, and fits, ${colorScheme} at ${width} px`, async () => {
            const page = await lab.page({ colorScheme, viewport: { width, height: 900 } });
            const paths = {
                home: '/', search: '/?q=v2&state=idle&outcome=rolled_back&days=7', target: '/targets/web',
                deployment: `/deployments/${failed.id}`, letters: '/dead-letters',
            };
            for (const [name, path] of Object.entries(paths)) {
                await page.goto(lab.base + path);
                await page.getByText('Live', { exact: true }).waitFor();
                await picture(page, `${name}-${colorScheme}-${width}`);
                await checked(page, path);
            }
            await signIn(page, OPERATOR);
            await page.getByText('Signed in as ann.').waitFor();
            await page.goto(`${lab.base}/targets/api`);
            await picture(page, `signed-in-${colorScheme}-${width}`);
            await page.getByRole('button', { name: 'Roll back …' }).click();
            await page.getByRole('dialog', { name: 'Roll api back.' }).getByText('shop-api:1 (v1, sha256:').waitFor();
            await picture(page, `dialog-${colorScheme}-${width}`, {});
            await checked(page, 'the dialog');
            await page.keyboard.press('Escape');
            await page.getByRole('link', { name: 'Metrics' }).click();
            await page.getByRole('dialog', { name: '/metrics' }).waitFor();
            await picture(page, `raw-${colorScheme}-${width}`, {});
            await checked(page, 'what is for machines');
            assert.deepEqual(page.complaints, []);
            await page.context().close();
        });
    }
}

async function checked(page, what) {
    const { violations } = await new AxeBuilder({ page }).analyze();
    const told = violations.map((it) => `${it.id}: ${it.help}: ${it.nodes.map((node) => node.html).join(' ')}`);
    assert.deepEqual(told, [], what);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${what} is ${over} px too wide`);
}

test('without scripts everything is told, and can be searched', async () => {
    const page = await lab.page({ javaScriptEnabled: false });
    await page.goto(lab.base);
    await page.getByRole('heading', { name: 'Needs attention' }).waitFor();
    assert.ok(await page.getByText('web rolled back: crash loop').isVisible());
    assert.equal(await page.getByRole('button', { name: 'Sign in' }).count(), 0);
    await page.getByRole('link', { name: 'Keep it live' }).waitFor();
    await page.getByLabel('Search').fill('mail');
    await page.getByRole('button', { name: 'Show' }).click();
    await page.waitForURL('**/?q=mail**');
    assert.equal(await page.locator('table.targets tbody tr').count(), 1);
    await page.getByRole('link', { name: 'Show all' }).click();
    assert.equal(await page.locator('table.targets tbody tr').count(), 3);
    await page.goto(`${lab.base}/targets/web`);
    assert.equal(await page.getByRole('button', { name: 'Pause …' }).count(), 0);
    await page.context().close();
});

test('a page that is open follows what happens, and keeps what its reader was doing', async () => {
    const page = await lab.page();
    await page.goto(lab.base);
    await page.getByText('Live', { exact: true }).waitFor();
    const details = page.locator('#ended details').first();
    await details.locator('summary').click();
    await page.getByLabel('Search').fill('half a word');
    await page.evaluate(() => { document.querySelector('#ended').scrollIntoView(); window.isTheSame = true; });
    const top = () => page.evaluate(() => Math.round(document.querySelector('#ended').getBoundingClientRect().top));
    const before = await top();
    await lab.deploy('mail', 'v2');
    await page.locator('#under-way').getByText('shop-mail:2').waitFor();
    await page.locator('#ended').getByRole('link', { name: 'mail' }).first().waitFor({ timeout: 30_000 });
    assert.ok(await details.getAttribute('open') !== null || await page.locator('#ended details[open]').count() === 1, 'what was unfolded stays so');
    assert.equal(await page.getByLabel('Search').inputValue(), 'half a word');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'q');
    assert.ok(await page.evaluate(() => window.isTheSame), 'the page was not loaded anew');
    assert.ok(Math.abs(await top() - before) <= 2, `what is read has moved from ${before} to ${await top()}`);
    await until('the news are told', async () => /shop-mail: succeeded/.test(await page.locator('#news').textContent()));
    assert.deepEqual(page.complaints, []);
    await page.context().close();
});

test('a link that has the focus keeps it while its row is drawn anew', async () => {
    const page = await lab.page();
    await page.goto(lab.base);
    await page.getByText('Live', { exact: true }).waitFor();
    await page.locator('#targets').getByRole('link', { name: 'api' }).focus();
    const before = await page.locator('#as-of').textContent();
    await lab.deploy('mail', 'v3');
    await until('it was drawn anew', async () => await page.locator('#as-of').textContent() !== before);
    await page.locator('#targets').getByText('mail:v3').waitFor({ timeout: 30_000 });
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'api');
    await page.context().close();
});

test('held still, nothing moves until its reader says so', async () => {
    const page = await lab.page();
    await page.goto(lab.base);
    await page.getByText('Live', { exact: true }).waitFor();
    let asked;
    const isAsked = new Promise((done) => { asked = done; });
    await page.route((url) => url.pathname === '/', async (route) => { asked(); await sleep(1_000); await route.continue(); });
    await lab.deploy('mail', 'v4');
    await isAsked;
    await page.getByRole('button', { name: 'Hold still' }).click();
    await page.getByText('Held still', { exact: true }).waitFor();
    const before = await page.locator('main').innerHTML();
    await until('it is over', async () => (await lab.get('/api/v1/targets/mail')).running?.images[0].image.endsWith(':v4'));
    await sleep(2_000);
    assert.ok(await page.locator('main').innerHTML() === before, 'it moved, by what was on its way or comes later');
    await page.unrouteAll({ behavior: 'wait' });
    await page.getByRole('button', { name: 'Hold still' }).click();
    await page.locator('#targets').getByText('mail:v4').waitFor();
    await page.context().close();
});

test('a wrong token is refused in words, and one that may only look says so and acts on nothing', async () => {
    const page = await lab.page();
    await page.goto(`${lab.base}/targets/api`);
    await signIn(page, 'wrong');
    await page.getByRole('alert').filter({ hasText: 'This token is not accepted' }).waitFor();
    await page.getByLabel('Token').fill(READER);
    await page.getByRole('dialog').getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('it has the role `read`').waitFor();
    const acts = page.getByRole('button', { name: 'Pause …' });
    assert.equal(await acts.count(), 0, 'it may not act');
    await page.reload();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    assert.equal(await acts.count(), 0, 'nor after the page was loaded again');
    await page.context().close();
});

test('whoever has a token pauses a target, sees it, and resumes it', async () => {
    const page = await lab.page();
    await page.goto(`${lab.base}/targets/api`);
    assert.equal(await page.getByRole('button', { name: 'Pause …' }).count(), 0);
    await signIn(page, OPERATOR);
    await page.getByRole('button', { name: 'Pause …' }).click();
    await page.keyboard.press('Escape');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Pause …', 'the focus is where it was');
    await page.getByRole('button', { name: 'Pause …' }).click();
    const dialog = page.getByRole('dialog', { name: 'Pause api.' });
    assert.match(await dialog.textContent(), /waits until somebody resumes it/);
    await dialog.getByLabel('Reason').fill('it\'s stocktaking');
    await dialog.getByRole('button', { name: 'Pause', exact: true }).click();
    await page.getByText('The tag keeps of the reason: "it s stocktaking".').waitFor();
    await page.getByText('by ann').first().waitFor({ timeout: 30_000 });
    await page.getByText('stocktaking').first().waitFor();
    await page.goto(lab.base);
    await page.locator('#attention').getByText('api is paused').waitFor();
    await page.locator('#attention').getByText('api is paused').click();
    await page.getByRole('button', { name: 'Resume …' }).click();
    await page.getByRole('button', { name: 'Resume', exact: true }).click();
    await page.getByRole('button', { name: 'Pause …' }).waitFor({ timeout: 30_000 });
    await page.getByRole('button', { name: 'Sign out' }).click();
    assert.equal(await page.getByRole('button', { name: 'Pause …' }).count(), 0);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
});

test('a roll back says first where it leads, and then goes there', async () => {
    const page = await lab.page();
    await page.goto(`${lab.base}/targets/mail`);
    await signIn(page, OPERATOR);
    await page.getByRole('button', { name: 'Roll back …' }).click();
    const dialog = page.getByRole('dialog', { name: 'Roll mail back.' });
    await dialog.getByText('shop-mail:4 (v4, sha256:').waitFor();
    await dialog.getByText('shop-mail:3 (v3, sha256:').waitFor();
    await dialog.getByLabel('Back to').fill('v2');
    assert.equal(await dialog.getByText('shop-mail:3').count(), 0, 'what was shown is not what is asked for any more');
    await dialog.getByRole('button', { name: 'Look first' }).click();
    await dialog.getByText('shop-mail:2 (v2, sha256:').waitFor();
    assert.equal((await lab.get('/api/v1/targets/mail')).running.definition, 'shop-mail:4', 'nothing was done so far');
    await dialog.getByRole('button', { name: 'Roll back', exact: true }).click();
    await until('it is back', async () => (await lab.get('/api/v1/targets/mail')).running.definition === 'shop-mail:2');
    assert.deepEqual(page.complaints, []);
    await page.getByRole('button', { name: 'Resume …' }).click({ timeout: 30_000 });
    await page.getByRole('button', { name: 'Resume', exact: true }).click();
    await page.getByRole('button', { name: 'Pause …' }).waitFor({ timeout: 30_000 });
    await page.context().close();
});

test('whoever has a token deploys a tag, cancels what hangs, and puts back what was set aside', async () => {
    const page = await lab.page();
    await page.goto(`${lab.base}/targets/mail`);
    await signIn(page, OPERATOR);
    await lab.push('mail', 'v5-hang');
    await page.getByRole('button', { name: 'Deploy …' }).click();
    const dialog = page.getByRole('dialog', { name: 'Deploy mail.' });
    await dialog.getByLabel('Tag').fill('v5-hang');
    await dialog.getByLabel('Reason').fill('a try');
    await dialog.getByRole('button', { name: 'Deploy', exact: true }).click();
    await page.getByText('Deploy mail: it was asked for.').waitFor();
    await page.locator('#does').getByText('Rolling out').waitFor({ timeout: 30_000 });
    await page.locator('#does').getByRole('link').first().click();
    await page.locator('#timeline').getByText('Rollout started').waitFor();
    await page.locator('#timeline').getByText('Definition registered').waitFor();
    assert.match(await page.locator('main').textContent(), /a try/);
    await picture(page, 'under-way');
    await page.getByRole('button', { name: 'Cancel …' }).click();
    await page.getByRole('button', { name: 'Cancel it' }).click();
    await page.getByText('Cancelled', { exact: true }).first().waitFor({ timeout: 30_000 });

    await page.goto(`${lab.base}/dead-letters`);
    const row = page.locator('table.letters tbody tr').filter({ hasText: 'v2-crash' });
    await row.getByRole('button', { name: 'Replay …' }).click();
    await page.getByRole('button', { name: 'Replay', exact: true }).click();
    await page.getByText('it was asked for').waitFor();
    await until('it is tried again', async () => (await lab.get('/api/v1/targets/web')).lane.state !== 'idle');
    await lab.ended('web', 'rolled_back');
    await page.context().close();
});

test('the diff of a definition shows the image, and no value of the environment', async () => {
    const page = await lab.page();
    await page.goto(`${lab.base}/deployments/${failed.id}`);
    await page.locator('table.diff').getByText('shop/web:v2-crash').waitFor();
    const text = await page.locator('html').innerHTML();
    assert.ok(!text.includes('hunter2'), 'a value of the environment is shown');
    assert.match(text, /console\.aws\.amazon\.com\/cloudwatch/);
    await page.context().close();
});

test('everything can be reached by the keyboard', async () => {
    const page = await lab.page();
    await page.goto(lab.base);
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    const seen = new Set();
    for (let step = 0; step < 60; step += 1) {
        await page.keyboard.press('Tab');
        seen.add(await page.evaluate(() => document.activeElement.getAttribute('href') ?? document.activeElement.id));
    }
    for (const wanted of ['/targets/api', '/targets/web', 'q', 'state', '/?days=7', `/deployments/${failed.id}`]) {
        assert.ok(seen.has(wanted), `${wanted} is not among ${[...seen].join(' ')}`);
    }
    await page.context().close();
});

test('a page outlives its daemon, and says what ECS remembers after a restart', async () => {
    const page = await lab.page();
    await page.goto(`${lab.base}/targets/web`);
    await page.getByText('Live', { exact: true }).waitFor();
    await lab.stop();
    await page.getByText('Reconnecting …').waitFor({ timeout: 30_000 });
    await lab.start();
    await page.getByText('Live', { exact: true }).waitFor({ timeout: 60_000 });
    await page.locator('#ended').getByText('seen in ECS, of a definition of ours').first().waitFor({ timeout: 30_000 });
    const answer = await page.goto(`${lab.base}/deployments/${failed.id}`);
    assert.equal(answer.status(), 200, 'a link that people were sent still opens');
    await page.getByText('seen in ECS').first().waitFor();
    const { items } = await lab.get('/api/v1/deployments?target=web');
    assert.equal(new Set(items.map((it) => it.rollout_id)).size, items.length, 'no deployment is listed twice');
    await page.context().close();
});

test('what is not there says so on a page, and leads back', async () => {
    const page = await lab.page();
    for (const path of ['/targets/nothing', '/nope']) {
        const answer = await page.goto(lab.base + path);
        assert.equal(answer.status(), 404);
        await page.getByRole('heading', { name: 'Nothing is here' }).waitFor();
        await checked(page, `the page of what is not there, ${path}`);
        await page.getByRole('link', { name: 'To the overview' }).click();
        await page.getByRole('heading', { name: 'Needs attention' }).waitFor();
    }
    await page.context().close();
});

test('where seeing needs a token, a page asks for it, shows nothing before, and follows what happens then', async () => {
    await lab.stop();
    lab.reads = 'token';
    await lab.start();
    const page = await lab.page();
    const answer = await page.goto(`${lab.base}/targets/web`);
    assert.equal(answer.status(), 401);
    assert.ok(!/shop|web:/.test(await answer.text()), 'it says what is there');
    await page.getByRole('dialog', { name: 'Sign in' }).waitFor();
    await picture(page, 'closed', {});
    await page.getByLabel('Token').fill(READER);
    await page.getByLabel('Token').press('Enter');
    await page.getByRole('heading', { name: 'web', exact: true }).waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    await page.locator('header').getByText('eu-west-1').waitFor();
    await page.getByRole('link', { name: 'Lockkeeper' }).click();
    await page.getByRole('heading', { name: 'Needs attention' }).waitFor();
    assert.equal(await page.getByRole('dialog').count(), 0, 'it is not asked for again');
    for (const [name, holds] of [['Metrics', 'lockkeeper_build_info'], ['Targets', '"name": "api"']]) {
        await page.getByRole('link', { name, exact: true }).click();
        await page.getByRole('dialog').getByText(holds).waitFor();
        await page.getByRole('dialog').getByRole('button', { name: 'Back' }).click();
    }
    await page.context().close();
});
