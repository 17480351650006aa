<?php
// Sessions of PHP, with the handler of php-redis or of php-memcached, with locks.
require __DIR__ . '/../clients/matrix/sections.php';

// Nothing may be printed before a session starts.
ob_start();
$handler = getenv('VARIANT');
say('version PHP ' . PHP_VERSION . ", $handler " . phpversion($handler));
say('note ' . ($handler == 'redis' ? 'none: each command has one key' : '`memcached.sess_binary_protocol=0`, before one server too: the proxy does not have the binary protocol'));
ini_set('session.save_handler', $handler);
ini_set('session.save_path', ($handler == 'redis' ? 'tcp://' : '') . '127.0.0.1:' . PORT);
ini_set('session.use_cookies', '0');
ini_set('session.cache_limiter', '');
// The proxy does not have memcached's binary protocol, which is the default for sessions.
ini_set('memcached.sess_binary_protocol', '0');
ini_set('redis.session.locking_enabled', '1');
set_error_handler(function ($level, $text) {
    throw new Exception($text);
});

section('sessions', function () {
    session_id('abcdef');
    expect(session_start(), true);
    $_SESSION['user'] = ['id' => 7];
    session_write_close();
    $_SESSION = [];
    session_id('abcdef');
    session_start();
    expect($_SESSION['user'], ['id' => 7]);
    session_regenerate_id(true);
    $new = session_id();
    session_write_close();
    session_id($new);
    session_start();
    expect($_SESSION['user'], ['id' => 7]);
    session_destroy();
    session_id($new);
    session_start();
    expect(isset($_SESSION['user']), false);
    session_write_close();
});
ob_end_flush();
