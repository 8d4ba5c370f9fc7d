/*
 * sudo for kernels that ignore set-user-ID programs, as gVisor does.
 *
 * Called as "sudo" by a user in such a kernel it hands its arguments, environment, directory and standard streams to a
 * small daemon that runs as root in the same sandbox; the daemon starts the real sudo with them, and the caller waits
 * for its end. Everywhere else it is the real sudo that runs, at once. Called as "sudod" it is the daemon.
 *
 * Who may: root and the members of the group "sudo", as the image's sudoers file says too. The kernel tells who calls
 * (SO_PEERCRED, man 7 unix), and nobody outside the sandbox reaches the socket.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAL_SUDO "/usr/lib/sandport/sudo"
#define DIRECTORY "/run/sandport"
#define SOCKET_PATH DIRECTORY "/sudo.sock"
/* Arguments and environment together; execve(2) takes about as much. */
#define MAX_REQUEST (2u * 1024 * 1024)
/* Standard input, output and error, and the working directory. */
#define FD_COUNT 4
#define REQUEST_SECONDS 10

extern char **environ;

struct header {
	uint32_t argument_count;
	uint32_t environment_count;
	uint32_t length;
	uint32_t mask;
};

static volatile int wake_fd = -1;

static void on_signal(int number)
{
	int saved = errno;
	unsigned char byte = (unsigned char)number;
	if (write(wake_fd, &byte, 1) < 0) {
		/* The pipe is full of signals that are not yet handed on. */
	}
	errno = saved;
}

static int write_all(int fd, const void *data, size_t length)
{
	const char *at = data;
	while (length > 0) {
		ssize_t n = write(fd, at, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

static int read_all(int fd, void *data, size_t length)
{
	char *at = data;
	while (length > 0) {
		ssize_t n = read(fd, at, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

static int make_wake_pipe(void)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	wake_fd = ends[1];
	return ends[0];
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = handler;
	sigaction(number, &action, NULL);
}

/* ---- the caller ---- */

static char *pack(char **argv, struct header *header)
{
	char **lists[] = { argv, environ };
	uint32_t counts[] = { 0, 0 };
	size_t length = 0;
	for (int i = 0; i < 2; i++)
		for (char **item = lists[i]; *item != NULL; item++, counts[i]++)
			length += strlen(*item) + 1;
	if (length > MAX_REQUEST)
		return NULL;
	char *data = malloc(length + 1);
	if (data == NULL)
		return NULL;
	char *end = data;
	for (int i = 0; i < 2; i++)
		for (char **item = lists[i]; *item != NULL; item++)
			end = stpcpy(end, *item) + 1;
	header->argument_count = counts[0];
	header->environment_count = counts[1];
	header->length = (uint32_t)length;
	return data;
}

static int send_request(int server, const struct header *header, const char *data)
{
	int fds[FD_COUNT] = { 0, 1, 2, open(".", O_PATH | O_DIRECTORY | O_CLOEXEC) };
	for (int i = 0; i < FD_COUNT; i++)
		if (fcntl(fds[i], F_GETFD) < 0)
			fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	union {
		char space[CMSG_SPACE(sizeof fds)];
		struct cmsghdr align;
	} control;
	memset(&control, 0, sizeof control);
	struct iovec part = { (void *)header, sizeof *header };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof control.space,
	};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof fds);
	memcpy(CMSG_DATA(rights), fds, sizeof fds);
	if (sendmsg(server, &message, MSG_NOSIGNAL) != (ssize_t)sizeof *header)
		return -1;
	return write_all(server, data, header->length);
}

/* Waits for the end of the command; signals that come meanwhile are handed on to it. */
static int wait_for_status(int server, int wake)
{
	struct pollfd fds[] = { { server, POLLIN, 0 }, { wake, POLLIN, 0 } };
	for (;;) {
		if (poll(fds, 2, -1) < 0) {
			if (errno != EINTR)
				return -1;
			/* What poll(2) leaves in revents then is from before; the pipe makes the next call return at once. */
			continue;
		}
		unsigned char number;
		while (read(wake, &number, 1) == 1)
			write_all(server, &number, 1);
		if (fds[0].revents != 0) {
			int status;
			return read_all(server, &status, sizeof status) == 0 ? status : -1;
		}
	}
}

static int call_daemon(char **argv)
{
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET_PATH };
	if (server < 0 || connect(server, (struct sockaddr *)&address, sizeof address) < 0)
		return -1;
	struct header header;
	char *data = pack(argv, &header);
	if (data == NULL) {
		fprintf(stderr, "sudo: arguments and environment are too long\n");
		exit(1);
	}
	header.mask = umask(0);
	umask(header.mask);
	int wake = make_wake_pipe();
	static const int handed_on[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT };
	for (size_t i = 0; i < sizeof handed_on / sizeof *handed_on; i++)
		handle(handed_on[i], on_signal);
	handle(SIGPIPE, SIG_IGN);
	int status = wake < 0 || send_request(server, &header, data) < 0 ? -1 : wait_for_status(server, wake);
	if (status == -1) {
		fprintf(stderr, "sudo: not permitted, or the sandbox's sudo daemon has ended\n");
		exit(1);
	}
	if (WIFSIGNALED(status)) {
		handle(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
		exit(128 + WTERMSIG(status));
	}
	exit(WEXITSTATUS(status));
}

static int caller(char **argv)
{
	if (geteuid() != 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		call_daemon(argv);
	execv(REAL_SUDO, argv);
	perror("sudo");
	return 1;
}

/* ---- the daemon ---- */

/* Whether a line of /etc/group has `name` among the members of the group "sudo". */
static int is_member(const char *name)
{
	FILE *file = fopen("/etc/group", "re");
	char line[4096];
	int found = 0;
	while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
		char *rest = line;
		char *group = strsep(&rest, ":");
		if (strcmp(group, "sudo") != 0)
			continue;
		strsep(&rest, ":");
		strsep(&rest, ":");
		for (char *member; !found && (member = strsep(&rest, ",\n")) != NULL;)
			found = *member != '\0' && strcmp(member, name) == 0;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

static int may_call(uid_t uid)
{
	if (uid == 0)
		return 1;
	FILE *file = fopen("/etc/passwd", "re");
	char line[4096];
	int allowed = 0;
	while (file != NULL && !allowed && fgets(line, sizeof line, file) != NULL) {
		char *rest = line;
		char *name = strsep(&rest, ":");
		strsep(&rest, ":");
		char *id = strsep(&rest, ":");
		allowed = id != NULL && *id != '\0' && strtoul(id, NULL, 10) == uid && is_member(name);
	}
	if (file != NULL)
		fclose(file);
	return allowed;
}

static char **unpack(char **at, const char *end, uint32_t count)
{
	if (count > MAX_REQUEST)
		return NULL;
	char **list = calloc((size_t)count + 1, sizeof *list);
	for (uint32_t i = 0; list != NULL && i < count; i++) {
		char *terminator = memchr(*at, '\0', (size_t)(end - *at));
		if (terminator == NULL)
			return NULL;
		list[i] = *at;
		*at = terminator + 1;
	}
	return list;
}

static int receive(int client, struct header *header, int fds[FD_COUNT])
{
	union {
		char space[CMSG_SPACE(sizeof(int) * FD_COUNT)];
		struct cmsghdr align;
	} control;
	struct iovec part = { header, sizeof *header };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof control.space,
	};
	if (recvmsg(client, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL) != (ssize_t)sizeof *header)
		return -1;
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	if (rights == NULL || rights->cmsg_type != SCM_RIGHTS || rights->cmsg_len != CMSG_LEN(sizeof(int) * FD_COUNT))
		return -1;
	memcpy(fds, CMSG_DATA(rights), sizeof(int) * FD_COUNT);
	return header->length <= MAX_REQUEST ? 0 : -1;
}

static void run(const struct header *header, const int fds[FD_COUNT], char **argv, char **environment)
{
	static const int reset[] = { SIGCHLD, SIGPIPE, SIGALRM };
	for (size_t i = 0; i < sizeof reset / sizeof *reset; i++)
		handle(reset[i], SIG_DFL);
	setsid();
	umask((mode_t)header->mask & 0777);
	/* The caller's directory may be one that root cannot enter either, such as a removed one. */
	if (fchdir(fds[3]) < 0 && chdir("/") < 0)
		_exit(126);
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			_exit(126);
	execve(REAL_SUDO, argv, environment);
	perror("sudo");
	_exit(127);
}

/* One caller: runs its command, hands on its signals, tells it the end. */
static void serve(int client)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	struct header header;
	int fds[FD_COUNT];
	alarm(REQUEST_SECONDS);
	if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || !may_call(peer.uid))
		return;
	if (receive(client, &header, fds) < 0)
		return;
	char *data = malloc((size_t)header.length + 1);
	if (data == NULL || read_all(client, data, header.length) < 0)
		return;
	alarm(0);
	char *at = data;
	char **argv = unpack(&at, data + header.length, header.argument_count);
	char **environment = argv == NULL ? NULL : unpack(&at, data + header.length, header.environment_count);
	if (environment == NULL || argv[0] == NULL)
		return;
	int wake = make_wake_pipe();
	if (wake < 0)
		return;
	handle(SIGCHLD, on_signal);
	pid_t child = fork();
	if (child == 0)
		run(&header, fds, argv, environment);
	for (int i = 0; i < FD_COUNT; i++)
		close(fds[i]);
	if (child < 0)
		return;
	struct pollfd waited[] = { { client, POLLIN, 0 }, { wake, POLLIN, 0 } };
	for (;;) {
		int status;
		if (waitpid(child, &status, WNOHANG) == child) {
			write_all(client, &status, sizeof status);
			return;
		}
		if (poll(waited, 2, -1) < 0) {
			if (errno != EINTR)
				return;
			continue;
		}
		unsigned char byte;
		while (read(wake, &byte, 1) == 1)
			;
		if (waited[0].revents == 0)
			continue;
		if (read(client, &byte, 1) == 1) {
			kill(-child, byte);
		} else {
			/* The caller was killed: its command learns what it would from a terminal that is gone. */
			kill(-child, SIGHUP);
			waited[0].fd = -1;
		}
	}
}

static int daemon_main(void)
{
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 0;
	mkdir(DIRECTORY, 0755);
	unlink(SOCKET_PATH);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET_PATH };
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
	    chmod(SOCKET_PATH, 0666) < 0 || listen(listener, 128) < 0) {
		perror("sudod");
		return 1;
	}
	handle(SIGPIPE, SIG_IGN);
	/* Its children are reaped by the kernel; each of them waits for its own command. */
	handle(SIGCHLD, SIG_IGN);
	for (;;) {
		int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (client < 0) {
			/* Out of descriptors: those of callers that end come free. */
			usleep(10000);
			continue;
		}
		if (fork() == 0) {
			close(listener);
			handle(SIGCHLD, SIG_DFL);
			serve(client);
			_exit(0);
		}
		close(client);
	}
}

int main(int argc, char **argv)
{
	const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
	name = name == NULL ? argv[0] : name + 1;
	return name != NULL && strcmp(name, "sudod") == 0 ? daemon_main() : caller(argv);
}
