<?php
// php-redis (phpredis).
require __DIR__ . '/sections.php';

say('version phpredis ' . phpversion('redis') . ' on PHP ' . PHP_VERSION);

function open()
{
    $redis = new Redis();
    $redis->connect('127.0.0.1', PORT);
    return $redis;
}

$redis = new Redis();

section('connect', function () use ($redis) {
    expect($redis->connect('127.0.0.1', PORT), true);
    expect($redis->ping(), true);
});

section('strings', function () use ($redis) {
    expect($redis->set('s', '1', ['EX' => 100]), true);
    expect($redis->incr('s'), 2);
    expect($redis->get('s'), '2');
    expect($redis->get('none'), false);
    expect($redis->hMSet('h', ['f' => 'v', 'g' => 'w']), true);
    expect($redis->hGetAll('h'), ['f' => 'v', 'g' => 'w']);
    expect($redis->zAdd('z', 1.5, 'm'), 1);
    expect($redis->zScore('z', 'm'), 1.5);
});

section('pipelines', function () use ($redis) {
    $pipe = $redis->pipeline();
    $wanted = [];
    for ($number = 0; $number < 500; $number++) {
        $pipe->set("p$number", $number);
        $pipe->get("p$number");
        array_push($wanted, true, (string) $number);
    }
    expect($pipe->exec(), $wanted);
});

section('multi-key', function () use ($redis) {
    $names = array_map(fn ($number) => "m$number", range(0, 49));
    expect($redis->mSet(array_combine($names, $names)), true);
    expect($redis->mGet([...$names, 'none']), [...$names, false]);
    expect($redis->exists([...$names, 'none']), 50);
    expect($redis->del(array_slice($names, 25)), 25);
    expect($redis->unlink($names), 25);
});

section('binary values', function () use ($redis) {
    $value = str_repeat(implode('', array_map('chr', range(0, 255))), 4096);
    expect($redis->set("\x00\xff\r\n", $value), true);
    expect($redis->get("\x00\xff\r\n") === $value, true);
});

section('an error keeps the connection', function () use ($redis) {
    $before = order('count');
    $redis->hSet('hash', 'f', 'v');
    expect($redis->incr('hash'), false);
    expect(str_contains($redis->getLastError(), 'WRONGTYPE'), true);
    expect($redis->rawCommand('NOSUCHCOMMAND'), false);
    expect($redis->get('none'), false);
    expect(order('count'), $before);
});

section('reconnect', function () use ($redis) {
    $redis->set('r', '1');
    order('cut');
    expect(third_time(fn () => $redis->get('r')), '1');
});

section('transactions', function () use ($redis) {
    expect($redis->multi()->set('{t}a', 1)->incr('{t}a')->set('{t}b', 2)->exec(), [true, 2, true]);
    // In one write.
    expect($redis->multi(Redis::PIPELINE)->get('{t}a')->get('{t}b')->exec(), ['2', '2']);
});

section('watch', function () use ($redis) {
    $other = open();
    expect($redis->watch('{w}a'), true);
    $other->set('{w}a', '5');
    expect($redis->multi()->set('{w}a', 2)->exec(), false);
    expect($redis->watch('{w}a'), true);
    expect($redis->multi()->set('{w}a', 2)->exec(), [true]);
});

section('blocking pops', function () use ($redis) {
    expect($redis->blPop(['{b}none'], 1), []);
    $redis->rPush('{b}list', 'x');
    expect($redis->blPop(['{b}none', '{b}list'], 5), ['{b}list', 'x']);
    $redis->rPush('{b}list', 'y');
    expect($redis->brpoplpush('{b}list', '{b}other', 5), 'y');
});

section('publish/subscribe', function () use ($redis) {
    $subscriber = open();
    $subscriber->setOption(Redis::OPT_READ_TIMEOUT, 5);
    // Another program says it, because subscribe() waits.
    $code = '$r = new Redis(); $r->connect("127.0.0.1", ' . PORT . ');'
        . 'for ($n = 0; $n < 50; $n++) { $r->publish("channel", "x") and exit; usleep(100000); }';
    $publisher = proc_open(['php', '-r', $code], [], $pipes);
    $got = null;
    try {
        $subscriber->subscribe(['channel'], function ($redis, $channel, $message) use (&$got) {
            $got = "$channel $message";
            $redis->unsubscribe(['channel']);
            // subscribe() does not end by itself.
            $redis->close();
        });
    } catch (RedisException $error) {
        if ($got === null) {
            throw $error;
        }
    }
    proc_close($publisher);
    expect($got, 'channel x');
});

section('scans', function () use ($redis) {
    for ($number = 0; $number < 300; $number++) {
        $redis->set("scan:$number", 1);
    }
    $redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
    $found = [];
    $cursor = null;
    while ($keys = $redis->scan($cursor, 'scan:*', 17)) {
        $found = array_merge($found, $keys);
    }
    expect(count(array_unique($found)), 300);
    expect(count($redis->keys('scan:*')), 300);
});

section('scripts', function () use ($redis) {
    expect($redis->eval('return {KEYS[1], ARGV[1]}', ['k', 'a'], 1), ['k', 'a']);
    $sha = $redis->script('load', "return 2 * redis.call('GET', KEYS[1])");
    $redis->set('two', 2);
    expect($redis->evalSha($sha, ['two'], 1), 4);
});
