// The door to libcurl. Manual: https://curl.se/libcurl/c/
//
// Variadic calls cannot be imported, so each family of arguments has a typed stand-in here.
#pragma once
#include <curl/curl.h>

#if LIBCURL_VERSION_NUM < 0x075000
#error "libcurl 7.80.0 or later is needed (CURLOPT_PREREQFUNCTION)"
#endif

#pragma clang assume_nonnull begin

// https://curl.se/libcurl/c/curl_easy_setopt.html

static inline CURLcode curl_easy_set_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode curl_easy_set_offset(CURL *easy, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode curl_easy_set_text(
    CURL *easy, CURLoption option, const char *_Nullable value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode curl_easy_set_pointer(
    CURL *easy, CURLoption option, void *_Nullable value) {
    return curl_easy_setopt(easy, option, value);
}

static inline CURLcode curl_easy_set_list(
    CURL *easy, CURLoption option, struct curl_slist *_Nullable value) {
    return curl_easy_setopt(easy, option, value);
}

// https://curl.se/libcurl/c/CURLOPT_PROTOCOLS_STR.html
static inline CURLcode curl_easy_allow_http_only(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

// https://curl.se/libcurl/c/CURLOPT_QUICK_EXIT.html
// Without it, giving up on a name waits for the resolver's thread; before 7.87 there is no choice.
static inline CURLcode curl_easy_leave_resolver_behind(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075700
    return curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#else
    return CURLE_OK;
#endif
}

// https://curl.se/libcurl/c/CURLOPT_WRITEFUNCTION.html and CURLOPT_HEADERFUNCTION.html

typedef size_t (*curl_bytes_function)(
    char *bytes, size_t size, size_t count, void *_Nullable context);

static inline CURLcode curl_easy_set_bytes_function(
    CURL *easy, CURLoption option, curl_bytes_function function) {
    return curl_easy_setopt(easy, option, function);
}

// https://curl.se/libcurl/c/CURLOPT_OPENSOCKETFUNCTION.html

typedef curl_socket_t (*curl_open_socket_function)(
    void *_Nullable context, curlsocktype purpose, struct curl_sockaddr *address);

static inline CURLcode curl_easy_set_open_socket_function(
    CURL *easy, curl_open_socket_function function) {
    return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, function);
}

// The address is longer than its declared type: it must be read through this pointer, never copied.
static inline const struct sockaddr *curl_sockaddr_address(const struct curl_sockaddr *address) {
    return &address->addr;
}

static const curl_socket_t curl_socket_bad = CURL_SOCKET_BAD;

// https://curl.se/libcurl/c/CURLOPT_PREREQFUNCTION.html

typedef int (*curl_before_request_function)(
    void *_Nullable context, char *_Nullable remote_address, char *_Nullable local_address,
    int remote_port, int local_port);

static inline CURLcode curl_easy_set_before_request_function(
    CURL *easy, curl_before_request_function function) {
    return curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, function);
}

// https://curl.se/libcurl/c/curl_easy_getinfo.html

static inline CURLcode curl_easy_get_long(CURL *easy, CURLINFO info, long *value) {
    return curl_easy_getinfo(easy, info, value);
}

static inline CURLcode curl_easy_get_offset(CURL *easy, CURLINFO info, curl_off_t *value) {
    return curl_easy_getinfo(easy, info, value);
}

// https://curl.se/libcurl/c/curl_multi_info_read.html: the result sits in a union.

static inline CURLcode curl_message_result(const CURLMsg *message) {
    return message->data.result;
}

static inline CURL *_Nullable curl_message_easy(const CURLMsg *message) {
    return message->easy_handle;
}

#pragma clang assume_nonnull end
